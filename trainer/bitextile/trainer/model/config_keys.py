"""The keys of a transformers configuration: one that its class does not have changes nothing."""

from typing import Any

from bitextile.schema.config_problems import did_you_mean, listed, nearest
from bitextile.schema.errors import ConfigError


def check_model_config(given: dict[str, Any]) -> None:
    """Checks the keys of `model.config`, of which transformers takes any without a word.

    Args:
        given: model_type and values of the configuration.

    Raises:
        ConfigError: transformers has no such model type, or its configuration no such key.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    model_type = given["model_type"]
    if model_type not in CONFIG_MAPPING:
        near = did_you_mean(model_type, CONFIG_MAPPING)
        raise ConfigError(f"model.config: transformers has no model_type {model_type!r}{near}")
    made = CONFIG_MAPPING[model_type]()
    known = [name for name in {**vars(made), **made.attribute_map} if name[0] != "_"]
    known.append("model_type")
    wrong = [name for name in given if name not in known]
    if wrong:
        # A hundred keys are no help; without a near one the class's own documentation is.
        hints = [f"unknown key 'model.config.{name}'{did_you_mean(name, known)}" for name in wrong]
        see = "" if all(nearest(name, known) for name in wrong) else f"; see {type(made).__name__}"
        raise ConfigError(f"{listed(hints, 'and')}{see}")
