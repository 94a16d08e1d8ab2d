"""The variants that a recipe asks for: switched sentences and derived languages."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from bitextile.kernels.bitext.dictionary.source import (
    DictionaryFormat,
    DictionarySource,
    LexiconLimits,
)
from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.switch.alignment import AlignmentSwitchConfig
from bitextile.kernels.switch.candidates import CandidatesSwitchConfig
from bitextile.kernels.switch.dictionary import DictionarySwitchConfig
from bitextile.kernels.switch.pivot import MultilingualSwitchConfig
from bitextile.kernels.switch.task_field import TaskFieldSwitchConfig, TaskFiles
from bitextile.pipelines import codeswitch as switching
from bitextile.pipelines.derive import derive, derive_conllu
from bitextile.pipelines.recipe.parts import base_config
from bitextile.pipelines.recipe.recipe import Recipe
from bitextile.pipelines.recipe.variants import (
    AnySwitch,
    CandidatesSwitch,
    DerivePart,
    DictionarySwitch,
    MultilingualSwitch,
    TaskFieldSwitch,
    folder_of,
)
from bitextile.pipelines.runner.job import DatasetResult
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.confinement import refuse_outside
from bitextile.schema.errors import ConfigError


def check_variants(recipe: Recipe, folder: Path) -> None:
    """Raises ConfigError, before anything runs, where a variant of the recipe could not be made.

    Args:
        recipe: names the variants.
        folder: what its paths are relative to.
    """
    parts: list[AnySwitch | DerivePart] = [*recipe.codeswitch, *recipe.derive]
    folders = [folder_of(part) for part in parts]
    for name in folders:
        if folders.count(name) > 1:
            raise ConfigError(f"two parts would write {name}; give one of them a `name`")
    # Unordered: a lexicon is read in either direction.
    pairs = {frozenset(entry.languages) for entry in recipe.bitext}
    for part in parts:
        # A file replaces the dataset, so a recipe without `mono` may derive one.
        of_mono = getattr(part, "dataset", "") == "mono" and not getattr(part, "file", "")
        if of_mono and not recipe.mono:
            raise ConfigError(
                f"{folder_of(part)}: `dataset` is mono, but the recipe names no `mono` corpus"
            )
        for pair in getattr(part, "lexicon", ()):
            if frozenset(pair) not in pairs:
                raise ConfigError(
                    f"{folder_of(part)}: the lexicon has no {' and '.join(pair)}; "
                    "the recipe has no `bitext` in these languages"
                )
        if uses_run_candidates(part) and recipe.candidates is None:
            raise ConfigError(
                f"{folder_of(part)}: no candidates; add a part `candidates` to the recipe, or name "
                "a folder of some"
            )
        # `exists`, not `is_file`: candidates are a folder.
        for name in _files(part):
            refuse_outside(folder / name)
            if not (folder / name).exists():
                raise ConfigError(f"{folder / name}: no such file; check `{folder_of(part)}`")


def uses_run_candidates(part: AnySwitch | DerivePart) -> bool:
    """Returns whether a part waits for the candidates that the run's own model makes."""
    return isinstance(part, CandidatesSwitch) and not part.candidates


def _files(part: AnySwitch | DerivePart) -> list[str]:
    """Returns the files and folders that a part names."""
    # By attribute: which parts name files is told by their fields, and a new part with such a field
    # is checked too.
    found = [getattr(part, "file", ""), getattr(part, "candidates", "")]
    found += getattr(part, "translations", {}).values()
    found += [entry.file for entry in getattr(part, "dictionaries", ())]
    return [name for name in found if name]


def switch(part: AnySwitch, folder: Path, out: str, *, options: RunOptions) -> DatasetResult:
    """Writes the switched sentences that one part of a recipe asks for.

    Args:
        part: of the recipe.
        folder: what its paths are relative to.
        out: folder of the run; holds the datasets that the part works on.
        options: how to run.
    """
    target, aligned = f"{out}/{folder_of(part)}", f"{out}/aligned"
    # mypy takes the type of the first assignment for all of them otherwise.
    config: Any
    if isinstance(part, DictionarySwitch):
        config = base_config(DictionarySwitchConfig, part)
        return switching.codeswitch_by_dictionary(
            f"{out}/{part.dataset}",
            target,
            dictionaries=_dictionaries(part, folder, out),
            config=config,
            options=options,
        )
    if isinstance(part, TaskFieldSwitch):
        files = base_config(TaskFiles, part)
        paths = {lang: str(folder / name) for lang, name in files.translations.items()}
        files = replace(files, file=str(folder / files.file), translations=paths)
        config = base_config(TaskFieldSwitchConfig, part)
        return switching.codeswitch_task_fields(files, target, config=config, options=options)
    if isinstance(part, CandidatesSwitch):
        config = base_config(CandidatesSwitchConfig, part)
        run_candidates = uses_run_candidates(part)
        candidates = f"{out}/candidates" if run_candidates else str(folder / part.candidates)
        return switching.codeswitch_by_candidates(
            candidates, target, config=config, options=options
        )
    if isinstance(part, MultilingualSwitch):
        config = base_config(MultilingualSwitchConfig, part)
        return switching.codeswitch_multilingual(aligned, target, config=config, options=options)
    config = base_config(AlignmentSwitchConfig, part)
    return switching.codeswitch(aligned, target, config=config, options=options)


def _dictionaries(part: DictionarySwitch, folder: Path, out: str) -> list[DictionarySource]:
    """Returns the files a part names, and the run's own lexicon for the pairs it names."""
    sources = []
    for entry in part.dictionaries:
        src, tgt = entry.languages
        path, how = str(folder / entry.file), vars(base_config(DictionaryFormat, entry))
        sources.append(DictionarySource(path=path, src_lang=src, tgt_lang=tgt, **how))
    for src, tgt in part.lexicon:
        path, limits = f"{out}/lexicon", vars(base_config(LexiconLimits, part))
        sources.append(
            DictionarySource(path=path, src_lang=src, tgt_lang=tgt, format="lexicon", **limits)
        )
    return sources


def derived(part: DerivePart, folder: Path, out: str, *, options: RunOptions) -> DatasetResult:
    """Writes the derived language that one part of a recipe asks for; arguments as in `switch`."""
    target, config = f"{out}/{folder_of(part)}", base_config(DeriveConfig, part)
    if part.file:
        file, lang = str(folder / part.file), part.language
        return derive_conllu(file, target, lang=lang, config=config, options=options)
    return derive(f"{out}/{part.dataset}", target, config=config, options=options)
