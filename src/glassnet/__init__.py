"""glassnet: a neural network made of glass.

It learns handwritten digits with NumPy alone, and every number on the way can be looked at.

    >>> import glassnet as gn
    >>> data = gn.load("mnist")
    >>> network = gn.Network([gn.Flatten(), gn.Dense(10), gn.Softmax()], data.input_shape)
    >>> result = gn.fit(network, data, gn.SGD(0.1), epochs=1)
    >>> result.model.evaluate(data.test).accuracy > 0.85
    True

Names are imported when they are first used, so that ``import glassnet`` takes no time.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
