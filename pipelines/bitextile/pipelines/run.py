"""`bitextile run`: the whole chain of a recipe, from corpora to a page to look at."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from bitextile.kernels.codeswitch import CodeswitchConfig
from bitextile.kernels.exchange import ExchangeConfig
from bitextile.kernels.lexicon import LexiconConfig
from bitextile.kernels.wordlinks import AlignConfig
from bitextile.pipelines.align import align
from bitextile.pipelines.codeswitch import codeswitch
from bitextile.pipelines.exchange import exchange
from bitextile.pipelines.ingest import ingest_corpora
from bitextile.pipelines.lexicon import lexicon
from bitextile.pipelines.recipe import Corpora, Language, Strict, load_yaml, parse
from bitextile.pipelines.report import write_report
from bitextile.pipelines.running import Finished, RunOptions
from bitextile.pipelines.tokenizer import TokenizerConfig, train_tokenizer
from bitextile.schema.errors import ConfigError, OutputExistsError
from bitextile.schema.storage import write_atomically

Say = Callable[[str], None]


class RetrievalSet(Strict):
    """Two line-aligned files whose sentences must find each other."""

    name: str
    languages: tuple[Language, Language]
    files: tuple[str, str]


class AlignmentSet(Strict):
    """Gold word links of pairs that are among the recipe's corpora."""

    name: str
    gold: str = Field(description="JSON lines; see README, «Gold links»")


class Evaluate(Strict):
    """What is measured; retrieval on the pairs' test split always is."""

    retrieval: tuple[RetrievalSet, ...] = ()
    alignment: tuple[AlignmentSet, ...] = ()


class Recipe(Corpora):
    """A whole chain: corpora, and the settings of each verb; every part has a default."""

    align: AlignConfig = AlignConfig()
    lexicon: LexiconConfig = LexiconConfig()
    exchange: ExchangeConfig = ExchangeConfig()
    codeswitch: CodeswitchConfig = CodeswitchConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    pretrain: dict[str, Any] | None = Field(
        None, description="settings of `pretrain`, and `objectives`: name to weight; null: none"
    )
    evaluate: Evaluate = Evaluate()
