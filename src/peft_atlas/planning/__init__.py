"""Memory, parameters and settings of a fine-tuning run before it is started.

>>> from peft_atlas.planning import plan
>>> plan("Llama-3.2-3B", "lora", rank=32, micro_batch=4, sequence=768, gpu_gb=48).verdict
'fits'
"""

from peft_atlas.planning.planner import Plan, plan, plan_all
from peft_atlas.planning.settings import Settings

__all__ = ["Plan", "Settings", "plan", "plan_all"]
