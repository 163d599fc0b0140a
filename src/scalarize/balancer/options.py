"""The options of a Balancer, and the refusal of combinations that cannot be."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from scalarize.balancer.sharded import refuse_sharded
from scalarize.methods import Method, Needs
from scalarize.utils.errors import RequestError, unknown_name_error

KNOWN = {
    "level": ("parameters", "representation"),
    "accumulate": ("micro", "full"),
    "on_nonfinite": ("raise", "skip"),
    "heads": ("own", "weighted", "objective"),
}


@dataclass(frozen=True)
class Options:
    """The arguments of the Balancer that shape a step; their meaning is in its docstring."""

    shared: tuple[Tensor, ...]
    level: str
    heads: str
    accumulate: str
    every: int
    on_nonfinite: str
    evidence_from: tuple[Tensor, ...] | None
    blocks: int
    chunk: int | str

    def check(self, method: Method, several_processes: bool) -> None:
        """Raise RequestError for what is unknown, and for what cannot be combined with ``method``."""
        for name, known in KNOWN.items():
            if getattr(self, name) not in known:
                raise unknown_name_error(name, getattr(self, name), known)
        if isinstance(self.chunk, str) and self.chunk != "auto":
            raise unknown_name_error("chunk", self.chunk, ("auto",))
        if min(self.every, self.blocks, 1 if isinstance(self.chunk, str) else self.chunk) < 1:
            raise RequestError("every, blocks and chunk must be at least 1")
        if self.chunk == "auto" and self.blocks > 1:
            raise RequestError("chunk='auto' measures whole steps: give chunk= a number beside blocks=")
        by_rows = method.needs >= Needs.GRAMIAN or self.accumulate == "full"
        refuse_sharded(self.shared, whole=by_rows and self.level == "parameters")
        self._check_level(method, several_processes)
        self._check_weights(method)
        self._check_parts(method)

    def _check_level(self, method: Method, several_processes: bool) -> None:
        levels = [x for x in method.levels if x == "parameters" or not method.extra_batches]
        if self.level not in levels:
            raise RequestError(f"{method.name} cannot be used at level={self.level!r}: use level={levels[0]!r}")
        if self.level == "representation" and self.accumulate == "full":
            raise RequestError("accumulate='full' needs level='parameters': representations of samples do not add up")
        if self.level == "representation" and method.needs == Needs.JACOBIAN and several_processes:
            raise RequestError(f"{method.name} needs all rows at once: with several processes use level='parameters'")
        by_gradients = method.needs >= Needs.GRAMIAN
        if not self.shared and self.level == "parameters" and (by_gradients or self.accumulate == "full"):
            raise RequestError(f"{method.name} compares gradients: shared= must name the shared parameters")

    def _check_weights(self, method: Method) -> None:
        gives_no_weights = method.has_combine or (method.has_objective and method.needs < Needs.GRAMIAN)
        if self.every > 1 and gives_no_weights:
            raise RequestError(f"every={self.every}: {method.name} has no weights that could be used again")
        if self.heads == "objective" and not method.has_objective:
            raise RequestError(
                f"heads='objective': {method.name} has no objective; use heads='own' or heads='weighted'"
            )
        if self.heads == "objective" and self.every > 1:
            raise RequestError("every= uses old weights, heads='objective' the present losses: use heads='own'")

    def _check_parts(self, method: Method) -> None:
        if self.evidence_from is None and self.blocks == 1:
            return
        if method.needs < Needs.GRAMIAN or method.has_combine or method.extra_batches:
            raise RequestError(f"evidence_from= and blocks= are for methods of the Gramian, which {method.name} is not")
        if self.level == "representation" or self.accumulate == "full":
            raise RequestError("evidence_from= and blocks= need level='parameters' and no accumulate='full'")
        known = {id(p) for p in self.shared}
        if any(id(p) not in known for p in self.evidence_from or ()):
            raise RequestError("evidence_from= must hold parameters of shared=")
