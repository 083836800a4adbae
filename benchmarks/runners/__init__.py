"""One runner a peer: the same training in glassnet, PyTorch, JAX, Keras, scikit-learn and textbook NumPy.

Each runs in a process of its own (see `runners.turn`), so that thread pools and memory do not mix, and imports its
library only there.
"""
