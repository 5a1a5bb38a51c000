"""The same counts as in `parameters`, read from models with the adapters attached; nothing is downloaded.

The models live on torch's meta device, where a tensor has a shape but takes no memory, so even LLaMA-13B is built in
under a second. peft attaches the methods it supports (LoRA, DoRA, prefix tuning); the others are our own.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import singledispatch
from typing import Any

import pandas as pd
import torch
from peft import LoraConfig, PrefixTuningConfig, get_peft_model
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, LlamaConfig, LlamaForCausalLM

from peft_atlas.accounting import parameters
from peft_atlas.accounting.architectures import BERT_BASE, DECODERS, DecoderGeometry
from peft_atlas.methods.attach import attach as attach_method
from peft_atlas.methods.loreft import LoReFT
from peft_atlas.methods.parallel_adapter import ParallelAdapter
from peft_atlas.methods.series_adapter import SeriesAdapter

ATTACHED = "attached"
_EDGE_POSITIONS = 7


@singledispatch
def attach(adapter: object, model: LlamaForCausalLM) -> nn.Module:
    """Attach an adapter and freeze everything else; implementations are registered per type of adapter."""
    raise TypeError(f"adapter {adapter!r}: nothing is registered to attach it")


@attach.register
def _(adapter: parameters.Prefix, model: LlamaForCausalLM) -> nn.Module:
    config = PrefixTuningConfig(num_virtual_tokens=adapter.virtual_tokens, task_type="CAUSAL_LM")
    return _with_peft(model, config)


@attach.register
def _(adapter: parameters.LowRank, model: LlamaForCausalLM) -> nn.Module:
    modules = list(adapter.modules)
    config = LoraConfig(r=adapter.rank, target_modules=modules, use_dora=adapter.magnitude, task_type="CAUSAL_LM")
    return _with_peft(model, config)


@attach.register
def _(adapter: parameters.Series, model: LlamaForCausalLM) -> nn.Module:
    return attach_method(model, SeriesAdapter(adapter.bottleneck, adapter.modules, side="narrower")).model


@attach.register
def _(adapter: parameters.Parallel, model: LlamaForCausalLM) -> nn.Module:
    return attach_method(model, ParallelAdapter(adapter.bottleneck, adapter.modules)).model


@attach.register
def _(adapter: parameters.Loreft, model: LlamaForCausalLM) -> nn.Module:
    method = LoReFT(adapter.rank, ("layers.*",), model.config.hidden_size, _EDGE_POSITIONS)
    return attach_method(model, method).model


def _with_peft(model: nn.Module, config: Any) -> nn.Module:
    """Attach an adapter with peft, silencing its warnings about models without weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted: nn.Module = get_peft_model(model, config)
    return adapted


def llama(geometry: DecoderGeometry) -> LlamaForCausalLM:
    """Build a decoder of the given shape on the default device; see `on_meta`."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=geometry.vocabulary,
            hidden_size=geometry.hidden,
            intermediate_size=geometry.intermediate,
            num_hidden_layers=geometry.layers,
            num_attention_heads=geometry.heads,
        )
    )


def _bert() -> nn.Module:
    """Build bert-base-uncased with a classification head and the seed notebook's LoRA."""
    config = BertConfig(
        vocab_size=BERT_BASE.vocabulary,
        hidden_size=BERT_BASE.hidden,
        intermediate_size=BERT_BASE.intermediate,
        num_hidden_layers=BERT_BASE.layers,
        num_attention_heads=BERT_BASE.heads,
    )
    config.num_labels = parameters.BERT_LABELS
    model = BertForSequenceClassification(config)
    modules = list(parameters.BERT_MODULES)
    return _with_peft(model, LoraConfig(r=parameters.BERT_RANK, target_modules=modules, task_type="SEQ_CLS"))


def count(module: nn.Module) -> tuple[int, int]:
    """Count trainable and frozen parameters, each tensor once."""
    sizes = [(tensor.requires_grad, tensor.numel()) for tensor in module.parameters()]
    return sum(size for trains, size in sizes if trains), sum(size for trains, size in sizes if not trains)


@contextmanager
def on_meta() -> Iterator[None]:
    """Make modules built in this context take no memory: their tensors only have shapes."""
    with torch.device("meta"):
        yield


def decoder_counts() -> list[parameters.Count]:
    """Count every setting on LLaMA-7B and LLaMA-13B, reading from models."""
    counts = []
    for geometry in DECODERS:
        for setting in parameters.SETTINGS:
            with on_meta():
                trainable, frozen = count(attach(setting.adapter, llama(geometry)))
            counts.append(parameters.decoder_count(geometry, setting, trainable, frozen))
    return counts


def bert_counts() -> list[parameters.Count]:
    """Count the model of the seed notebook's section 5, reading from it; see `parameters.bert_parts`."""
    with on_meta():
        model = _bert()
    trained = [(name, tensor.numel()) for name, tensor in model.named_parameters() if tensor.requires_grad]
    head = sum(size for name, size in trained if "modules_to_save" in name)
    return parameters.bert_parts(sum(size for _, size in trained) - head, head, count(model)[1])


def attached_table() -> pd.DataFrame:
    """Tabulate the counts of all settings read from models; columns as in `parameters.closed_form_table`."""
    return parameters.table_of([*decoder_counts(), *bert_counts()], ATTACHED)


def parameter_table() -> pd.DataFrame:
    """Tabulate the counts obtained in both ways, one row per base model, setting and way."""
    return pd.concat([parameters.closed_form_table(), attached_table()], ignore_index=True)
