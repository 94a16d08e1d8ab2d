"""The variants that a recipe asks for: switched sentences and derived languages."""

from pathlib import Path
from typing import Any

from bitextile.kernels.bitext.dictionary.source import DictionarySource
from bitextile.kernels.derive.rows import DeriveConfig
from bitextile.kernels.switch.alignment import AlignmentSwitchConfig
from bitextile.kernels.switch.core import SwitchConfig
from bitextile.kernels.switch.dictionary import DictionarySwitchConfig
from bitextile.kernels.switch.pivot import MultilingualSwitchConfig
from bitextile.kernels.switch.task_field import TaskFieldSwitchConfig, TaskFiles
from bitextile.pipelines import codeswitch as switching
from bitextile.pipelines.derive import derive, derive_conllu
from bitextile.pipelines.recipe.recipe import Recipe
from bitextile.pipelines.recipe.variants import (
    AnySwitch,
    CandidatesSwitch,
    DerivePart,
    DictionarySwitch,
    MultilingualSwitch,
    TaskFieldSwitch,
    folder_of,
    plain,
)
from bitextile.pipelines.runner.job import DatasetResult, RunOptions
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
    pairs = {frozenset(entry.languages) for entry in recipe.bitext}
    for part in parts:
        if getattr(part, "of", "") == "mono" and not recipe.mono and not getattr(part, "file", ""):
            raise ConfigError(f"{folder_of(part)}: of mono, but the recipe names no `mono` corpus")
        for pair in getattr(part, "lexicon", ()):
            if frozenset(pair) not in pairs:
                raise ConfigError(
                    f"{folder_of(part)}: the lexicon has no {' and '.join(pair)}; "
                    "the recipe has no `bitext` in these languages"
                )
        if of_run(part) and recipe.candidates is None:
            raise ConfigError(
                f"{folder_of(part)}: no candidates; add a part `candidates` to the recipe, or name "
                "a folder of some"
            )
        for name in _files(part):
            if not (folder / name).exists():
                raise ConfigError(f"{folder / name}: no such file; check `{folder_of(part)}`")


def of_run(part: AnySwitch | DerivePart) -> bool:
    """Returns whether a part waits for the candidates that the run's own model makes."""
    return isinstance(part, CandidatesSwitch) and not part.candidates


def _files(part: AnySwitch | DerivePart) -> list[str]:
    """Returns the files and folders that a part names."""
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
    config: Any
    if isinstance(part, DictionarySwitch):
        config = plain(DictionarySwitchConfig, part)
        return switching.codeswitch_by_dictionary(
            f"{out}/{part.of}",
            target,
            dictionaries=_dictionaries(part, folder, out),
            config=config,
            options=options,
        )
    if isinstance(part, TaskFieldSwitch):
        translations = {lang: str(folder / name) for lang, name in part.translations.items()}
        files = TaskFiles(
            task=part.task,
            lang=part.language,
            file=str(folder / part.file),
            translations=translations,
        )
        config = plain(TaskFieldSwitchConfig, part)
        return switching.codeswitch_task_fields(files, target, config=config, options=options)
    if isinstance(part, CandidatesSwitch):
        config = plain(SwitchConfig, part)
        candidates = f"{out}/candidates" if of_run(part) else str(folder / part.candidates)
        return switching.codeswitch_by_candidates(
            candidates, target, config=config, options=options
        )
    if isinstance(part, MultilingualSwitch):
        config = plain(MultilingualSwitchConfig, part)
        return switching.codeswitch_multilingual(aligned, target, config=config, options=options)
    config = plain(AlignmentSwitchConfig, part)
    return switching.codeswitch(aligned, target, config=config, options=options)


def _dictionaries(part: DictionarySwitch, folder: Path, out: str) -> list[DictionarySource]:
    sources = [
        DictionarySource(
            path=str(folder / entry.file),
            src_lang=entry.languages[0],
            tgt_lang=entry.languages[1],
            format=entry.format,
            columns=entry.columns,
            weight=part.weights.get(entry.languages[1], 1.0),
            pos=entry.pos,
        )
        for entry in part.dictionaries
    ]
    sources += [
        DictionarySource(
            path=f"{out}/lexicon",
            src_lang=src,
            tgt_lang=tgt,
            format="lexicon",
            weight=part.weights.get(tgt, 1.0),
            min_count=part.min_count,
            min_probability=part.min_probability,
        )
        for src, tgt in part.lexicon
    ]
    return sources


def derived(part: DerivePart, folder: Path, out: str, *, options: RunOptions) -> DatasetResult:
    """Writes the derived language that one part of a recipe asks for; arguments as in `switch`."""
    target, config = f"{out}/{folder_of(part)}", plain(DeriveConfig, part)
    if part.file:
        file, lang = str(folder / part.file), part.language
        return derive_conllu(file, target, lang=lang, config=config, options=options)
    return derive(f"{out}/{part.of}", target, config=config, options=options)
