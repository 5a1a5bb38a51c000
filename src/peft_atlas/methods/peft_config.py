"""What a configuration file of `peft` must say for its tensors to be the same function here."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from peft_atlas.errors import AtlasError
from peft_atlas.methods.patterns import ALL_LINEAR

Config = Mapping[str, Any]

# Keys that say where a file is from, or what only training asks of it, or what names and tensors show themselves.
_REMARKS = frozenset(
    {
        *("peft_type", "task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"),
        *("inference_mode", "modules_to_save", "lora_dropout", "fan_in_fan_out", "megatron_core", "runtime_config"),
        *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "qalora_group_size"),
        *("num_layers", "token_dim", "num_transformer_submodules", "num_attention_heads"),
        *("feedforward_modules", "encoder_hidden_size", "init_lora_weights", "init_ia3_weights"),
    }
)
# What `peft` takes where a file, of an older version for example, says nothing.
DEFAULTS: dict[str, dict[str, Any]] = {
    "LORA": {"r": 8, "lora_alpha": 8, "use_rslora": False, "use_dora": False, "bias": "none", "lora_bias": False},
    "IA3": {},
    "PREFIX_TUNING": {"num_virtual_tokens": None, "prefix_projection": False},
}
# Values at which settings that are not taken over here change nothing.
_OFF: dict[str, Any] = {
    **{key: {} for key in ("rank_pattern", "alpha_pattern", "loftq_config")},
    **dict.fromkeys(("ensure_weight_tying", "use_qalora"), False),
    **dict.fromkeys(
        (
            *("megatron_config", "trainable_token_indices", "eva_config", "corda_config", "lora_ga_config"),
            *("velora_config", "alora_invocation_tokens", "monteclora_config", "layer_replication", "init_weights"),
            *("target_parameters", "use_bdlora", "arrow_config", "kasa_config"),
        )
    ),
}
# Starts that leave the pretrained weights as they are; PiSSA, OLoRA, CorDA and LoftQ change them.
_PLAIN_STARTS = (True, False, "gaussian")


def check_settings(config: Config, expected: Mapping[str, Any]) -> None:
    """Raise an AtlasError unless every setting that changes the function has the value that is attached.

    Parameters
    ----------
    config
        The file.
    expected
        peft's type and the settings of the attached method, as `Method.peft_settings` gives them.
    """
    kind = expected["peft_type"]
    if config.get("peft_type") != kind:
        _refuse("peft_type", config.get("peft_type"), repr(kind))
    wanted = {**DEFAULTS[kind], **expected}
    for key, value in {**DEFAULTS[kind], **config}.items():
        if key in _REMARKS:
            continue
        if key not in wanted:
            _check_off(key, value)
        elif not _same(value, wanted[key]):
            _refuse(key, value, repr(wanted[key]))
    _check_start(config)


def _check_off(key: str, value: Any) -> None:
    """Raise an AtlasError unless a setting that is not taken over, or not even known, is off."""
    if key in _OFF:
        if type(value) is not type(_OFF[key]) or value != _OFF[key]:
            _refuse(key, value, repr(_OFF[key]))
    elif not (value is None or value is False or value in ("", [], {})):
        _refuse(key, value, "nothing: it is not known here what it changes")


def _same(value: Any, wanted: Any) -> bool:
    """Return whether a value is one that was expected; a truth value is no number, and a rank is a whole one."""
    if isinstance(wanted, float):
        return isinstance(value, int | float) and not isinstance(value, bool) and value == wanted
    return type(value) is type(wanted) and bool(value == wanted)


def _check_start(config: Config) -> None:
    for key, allowed in (("init_lora_weights", _PLAIN_STARTS), ("init_ia3_weights", (True, False))):
        value = config.get(key, True)
        if not any(value is each or (isinstance(each, str) and value == each) for each in allowed):
            _refuse(key, value, f"{', '.join(map(repr, allowed))}, which leave the pretrained weights as they are")


def _refuse(key: str, value: Any, allowed: str) -> None:
    raise AtlasError(f"{key} = {value!r}: allowed: {allowed}")


def check_targets(config: Config, targets: Collection[str], modules: Collection[str]) -> None:
    """Raise an AtlasError unless peft would adapt the modules that are adapted here.

    It may select more of them, to which the file gives no tensors: those start, and stay, as their base.

    Parameters
    ----------
    config
        The file.
    targets
        Names of the modules that are wrapped here.
    modules
        Names of all modules of the network.
    """
    try:
        chosen = {name for name in modules if _selects(config, name)}
    except (re.error, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise AtlasError(
            f"target_modules = {config.get('target_modules')!r}: not as peft writes it ({error})"
        ) from None
    if config.get("target_modules") == ALL_LINEAR:
        return
    for name in targets:
        if name not in chosen:
            _refuse("target_modules", config.get("target_modules"), f"names that select {name}")
    started = config.get("init_lora_weights", True) and config.get("init_ia3_weights", True)
    if chosen - set(targets) and not started:
        _refuse("target_modules", config.get("target_modules"), "no module that the file has no tensors of")


def _selects(config: Config, name: str) -> bool:
    """Return whether peft adapts a module of a name, by `peft.tuners.tuners_utils.check_target_module_exists`."""
    targets, excluded = config.get("target_modules"), config.get("exclude_modules")
    if excluded and _fits(excluded, name):
        return False
    saved = _strings(config.get("modules_to_save") or [])
    if any(re.match(rf"(^|.*\.){module}($|\..*)", name) for module in saved):
        return False
    if isinstance(targets, str):
        return targets == ALL_LINEAR or re.fullmatch(targets, name) is not None
    if name in _strings(targets):
        return True
    return _fits(targets, name) and _in_layers(config, name)


def _fits(patterns: Any, name: str) -> bool:
    if isinstance(patterns, str):
        return re.fullmatch(patterns, name) is not None
    return any(name == each or name.endswith(f".{each}") for each in _strings(patterns))


def check_saved_modules(config: Config, head: Collection[str], modules: Collection[str]) -> None:
    """Raise an AtlasError if peft would keep a copy of a module that is not part of the attached head.

    Parameters
    ----------
    config
        The file.
    head
        Names of the head's modules.
    modules
        Names of all modules of the network.
    """
    saved = config.get("modules_to_save")
    if saved is None:
        return
    if not isinstance(saved, list) or not all(isinstance(each, str) for each in saved):
        _refuse("modules_to_save", saved, "a list of names")
    for name in modules:
        if name.endswith(tuple(saved)) and not f"{name}.".startswith(tuple(f"{top}." for top in head)):
            _refuse("modules_to_save", saved, f"the head that is attached, {list(head)}, not {name}")


def _strings(values: Any) -> list[str]:
    """Return a list of texts, or raise a TypeError."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{values!r} is no list of names")
    return values


def _in_layers(config: Config, name: str) -> bool:
    """Return whether a module's layer is among those to transform."""
    layers, patterns = config.get("layers_to_transform"), config.get("layers_pattern")
    if patterns and not layers:
        raise ValueError("layers_pattern without layers_to_transform")
    if layers is None or layers == []:
        return True
    wanted = [layers] if isinstance(layers, int) else list(layers)
    if not patterns:
        return _layer(re.match(r".*?\.[^.]*\.(?P<idx>\d+)\.", name), wanted)
    each = [patterns] if isinstance(patterns, str) else _strings(patterns)
    found = (re.match(rf"(?:^|.*?\.){pattern}\.(?P<idx>\d+)\.", name) for pattern in each)
    return _layer(next(filter(None, found), None), wanted)


def _layer(match: re.Match[str] | None, wanted: list[Any]) -> bool:
    return match is not None and int(match.groupdict()["idx"]) in wanted


def check_feedforward(config: Config, scales_input: Mapping[str, bool]) -> None:
    """Raise an AtlasError unless peft would rescale the inputs of the same modules, and outputs of the others.

    Parameters
    ----------
    config
        The file.
    scales_input
        For each wrapped module's name, whether its input is rescaled here.
    """
    patterns = config.get("feedforward_modules")
    for name, scales in scales_input.items():
        if _feedforward(patterns, name) != scales:
            _refuse("feedforward_modules", patterns, f"those that {'select' if scales else 'leave out'} {name}")
    targets = config.get("target_modules")
    if isinstance(patterns, list) and isinstance(targets, list) and not set(patterns) <= set(targets):
        _refuse("feedforward_modules", patterns, "some of target_modules")


def _feedforward(patterns: Any, name: str) -> bool:
    """Return whether (IA)3 of peft rescales a module's input; of several patterns any end of the name will do."""
    try:
        if isinstance(patterns, str):
            return re.fullmatch(patterns, name) is not None
        return any(name.endswith(each) for each in _strings(patterns))
    except (re.error, TypeError, RecursionError) as error:
        raise AtlasError(f"feedforward_modules = {patterns!r}: not as peft writes it ({error})") from None


def without_base_copies(names: Iterable[str], targets: Collection[str]) -> set[str]:
    """Return the names in a file that are copies of adapted modules' own weights, as peft adds of embeddings."""
    own = {f"base_model.model.{name}.base_layer.weight" for name in targets}
    return own.intersection(names)
