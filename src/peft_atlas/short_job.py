"""No search for reference cycles in a process that imports this, first: a job of a second needs none.

Importing Matplotlib and pandas, drawing, and taking all apart at the end make many objects and next to no garbage;
searching them again and again is a quarter of such a job's time. Jobs that train do not import this.
"""

import atexit
import gc

gc.disable()
atexit.register(gc.freeze)
