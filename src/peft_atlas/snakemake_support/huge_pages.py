"""Large tensors in pages of two megabytes, in a process that imports this before torch.

The system hands out the memory of a large tensor anew each time and clears it page by page. Full fine-tuning of the
packaged encoder makes 47 MB of gradients for its words at every step: with small pages a tenth of its time. Where the
system has no large ones nothing changes.
"""

import os

# torch reads it when it makes its first tensor.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
