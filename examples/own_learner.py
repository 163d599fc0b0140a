"""Your own training code, searched by population-based training: four methods, two attributes, nothing to inherit.

python examples/own_learner.py
"""

import torch
from torch import nn

import scalarize


def make_data(rows=1200, seed=0):
    """Three targets of one hidden signal, on scales two orders of magnitude apart, one of them mostly noise."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 10, generator=draw)
    signal = torch.tanh(x @ torch.randn(10, 3, generator=draw))
    noise = torch.randn(rows, 3, generator=draw) * torch.tensor([0.1, 0.3, 1.5])
    return x, (signal + noise) * torch.tensor([0.1, 1.0, 10.0])


X, Y = make_data()
SPLITS = {"train": slice(0, 800), "validation": slice(800, 1200)}


class MyTraining:
    """A plain PyTorch loop. All randomness comes from the seed and the epoch, none from the state."""

    tasks = ("small", "middle", "large")

    def __init__(self, seed, lr=1e-2):
        torch.manual_seed(seed)
        self.seed, self.lr, self.epoch = seed, lr, 0
        self.model = nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 3))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=lr)

    def train(self, policy, until_epoch):
        x, y = X[SPLITS["train"]], Y[SPLITS["train"]]
        while self.epoch < until_epoch:
            weights = torch.tensor(policy.weights_at(self.epoch), dtype=torch.float32)
            order = torch.randperm(
                len(x), generator=torch.Generator().manual_seed(1000 * self.epoch + self.seed % 1000)
            )
            for batch in order.split(100):
                losses = ((self.model(x[batch]) - y[batch]) ** 2).mean(dim=0)
                self.optimizer.zero_grad()
                (weights * losses).sum().backward()
                self.optimizer.step()
            self.epoch += 1

    def evaluate(self, split):
        """The share of each target's variance that is explained: one scale for all, higher is better."""
        with torch.no_grad():
            errors = ((self.model(X[SPLITS[split]]) - Y[SPLITS[split]]) ** 2).mean(dim=0)
        return dict(zip(self.tasks, (1 - errors / Y[SPLITS[split]].var(dim=0)).tolist(), strict=True))

    def state_dict(self):
        return {"epoch": self.epoch, "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state):
        self.epoch = state["epoch"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr  # the number of this member, not its donor's


def centre():
    """Weights under which the losses of the best constant prediction are equal: where a search should begin."""
    return dict(zip(MyTraining.tasks, (1 / Y[SPLITS["train"]].var(dim=0)).tolist(), strict=True))


def main():
    fixed = {}
    for name, weights in {"uniform": dict.fromkeys(MyTraining.tasks, 1.0), "centre": centre()}.items():
        training = MyTraining(seed=0)
        training.train(scalarize.Policy.constant(weights, epochs=12), until_epoch=12)
        fixed[name] = sum(training.evaluate("validation").values()) / 3
    found = scalarize.search(MyTraining, epochs=12, population=8, center=centre(), also={"lr": "log:3e-3:1e-1"})
    print(f"uniform weights {fixed['uniform']:.3f}, centre {fixed['centre']:.3f}, best of the search {found.score:.3f}")
    print(f"{found.configurations} configurations for {found.trainings:g} trainings; lr {found.extras['lr']:.4f}")
    for segment in found.policy.segments:
        print(segment.from_epoch, dict(zip(found.policy.tasks, (round(w, 4) for w in segment.weights), strict=True)))
    return fixed, found


if __name__ == "__main__":
    main()
