"""The promise: data contracts and the mesh policy, from untrusted files to frozen values.

The public list; values live in `contracts.model`, `contracts.policy`, `contracts.fields`, `contracts.masks`,
`contracts.objectives` and `contracts.predicates`.
"""

from contracts.errors import ContractError, ContractInvalidError, InvalidDocumentError, PolicyInvalidError, Problem, ProblemCode
from contracts.load import CatalogReading, load_catalog, load_contract, parse_contract, read_catalog
from contracts.model import Contract
from contracts.policy import MeshPolicy, mask_for
from contracts.policy_document import load_policy, parse_policy
from contracts.together import Together, check_together, target_of

__all__ = [
    "CatalogReading",
    "Contract",
    "ContractError",
    "ContractInvalidError",
    "InvalidDocumentError",
    "MeshPolicy",
    "PolicyInvalidError",
    "Problem",
    "ProblemCode",
    "Together",
    "check_together",
    "load_catalog",
    "load_contract",
    "load_policy",
    "mask_for",
    "parse_contract",
    "parse_policy",
    "read_catalog",
    "target_of",
]
