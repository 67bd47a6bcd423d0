import os

# Before torch is imported. Tests run in several processes at once: two workers, and those of Ray. If each computed on
# as many threads as there are cores, they would wait for each other, and a training of a minute would take ten.
os.environ.setdefault("OMP_NUM_THREADS", "1")
