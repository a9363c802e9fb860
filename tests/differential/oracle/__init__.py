"""What an operation must answer: graphql-core with plain resolvers over Python rows, every rule of SPEC A spelt out naively.

Shares with the gateway the schema (that is under test elsewhere), the mask functions, and what a ruling says of a column as a
whole; cells are judged by `rulings_specification`, totals are worked out by `domain_adapters.conformance.naive`. Errors are folded
as SPEC A3 has it: one per response path without indices.
"""

from .expected import Approximate, Expected, Mesh, Place
from .schemas import schema_of
from .sights import Oracle

__all__ = ["Approximate", "Expected", "Mesh", "Oracle", "Place", "schema_of"]
