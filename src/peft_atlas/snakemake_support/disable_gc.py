"""No search for reference cycles in a process that imports this, before the library.

Importing, drawing, training and taking all apart at the end make many objects and next to no garbage that counting
references does not give back at once: a step of training leaves none, which a test holds. Searching them again and
again is a quarter of the time of a job that draws a figure, and 7 % of one that trains an encoder.
"""

import atexit
import gc

gc.disable()
# The interpreter searches once more when it ends; what is frozen it leaves to the system.
atexit.register(gc.freeze)
