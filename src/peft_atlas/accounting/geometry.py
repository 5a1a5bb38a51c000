"""The former name of `peft_atlas.accounting.architectures`, which scripts of others import."""

from peft_atlas.accounting.architectures import DecoderGeometry, EncoderGeometry

__all__ = ["DecoderGeometry", "EncoderGeometry"]
