"""How torch takes memory, in a process that imports this before it; what the environment says comes first."""

import os

# The system hands out the memory of a large tensor anew each time and clears it page by page. Full fine-tuning of the
# packaged encoder makes 47 MB of gradients for its words at every step: with small pages a tenth of its time.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
# oneDNN keeps what it has compiled for 1,024 shapes: 120 MB after a few runs in bfloat16, which would count as the
# memory of whatever trains last. To compile again costs next to nothing.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")
