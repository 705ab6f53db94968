"""Grammar of answers: small rules of our own for English, Portuguese and Spanish, each sure of itself."""

from greenroom.stages.postprocess.grammar.faults import faults, rules_of

__all__ = ["faults", "rules_of"]
