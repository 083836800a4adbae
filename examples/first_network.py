"""Build, train, save, load, predict: the whole of glassnet in twenty lines.

Run it with ``python examples/first_network.py``; it leaves ``model.safetensors`` in the current folder.
"""

import glassnet as gn

data = gn.load("mnist")  # 55,000 images to train, 5,000 to validate, 10,000 to test
print(f"{len(data.train):,} images of {data.input_shape} to train on")

network = gn.Network(
    [gn.Flatten(), gn.Dense(100, gn.HeNormal()), gn.ReLU(), gn.Dense(10), gn.Softmax()],
    data.input_shape,
    seed=0,
)
print(network.summary())

result = gn.fit(network, data, gn.Adam(learning_rate=0.002), epochs=3, batch_size=100, listeners=[gn.Progress()])
print(f"trained {result.steps} steps in {result.train_seconds:.2f} s")

gn.save_model(result.model, "model.safetensors")
model = gn.load_model("model.safetensors")

accuracy = model.evaluate(data.test).accuracy
print(f"reads {accuracy:.2%} of the test images")

some = data.test.features[:5]  # raw pictures: the model scales them itself
for digit, probabilities, truth in zip(model.predict(some), model.predict_proba(some), data.test.targets, strict=False):
    print(f"the network sees a {digit} ({probabilities[digit]:.1%} sure); it is a {truth}")
