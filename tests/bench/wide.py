"""A wide mesh, one seed one mesh: thousands of contracts of thirty columns as YAML, with chains, cycles and random relationships."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

__all__ = ["CHAIN", "POLICY", "WideMesh", "contract_text", "write"]

CHAIN = 1_000
"""So many products each lead to the next, the last one to the first."""

POLICY = """\
apiVersion: datamesh/v1
kind: MeshPolicy
spec:
  roles: [analyst, dashboard, steward]
  tags:
    pii:
      rules:
        - {type: string, name: "*email*", mask: email}
        - {type: string, mask: redact}
"""
_PER_DOMAIN = 50
_NOUNS = ("orders", "invoices", "parcels", "clients", "visits", "stock", "returns", "offers", "ratings", "claims")
_TYPES = ("string", "int", "long", "double", "boolean", "date", "uuid", "decimal, precision: 12, scale: 2")
_MEASURES = ("amount", "weight", "rate", "score", "level", "limit", "share", "ratio")


@dataclass(frozen=True, slots=True)
class WideMesh:
    """Where the contracts and the policy stand. ``products``: their ids, in the order of their numbers."""

    catalog: Path
    policy: Path
    products: tuple[str, ...]


def product_id(number: int) -> str:
    """Name a product by its number."""
    return f"area-{number // _PER_DOMAIN:03}/{_NOUNS[number % len(_NOUNS)]}-{number:05}"


def contract_text(number: int, products: int, *, version: str = "1.0.0", note: str = "") -> str:
    """Write one contract: a key, two personal columns, one hidden, five foreign keys, an enumeration, the rest of all types."""
    random = Random(f"{products}:{number}")
    domain, name = product_id(number).split("/")
    fields = [
        "      - {name: id, type: long, required: true, description: Identifies the row.}",
        "      - {name: updated_at, type: instant}",
        "      - {name: contact_email, type: string, description: Where to write to.}",
        "      - {name: contact_name, type: string}",
        "      - {name: internal_note, type: string}",
        "      - {name: status, type: enum, symbols: [OPEN, PAID, SHUT]}",
    ]
    links = []
    targets = [random.randrange(products) for _ in range(random.choice((0, 1, 1, 2, 3)))]
    if number < min(CHAIN, products):
        targets.insert(0, (number + 1) % min(CHAIN, products))
    for place, target in enumerate(targets):
        fields.append(f"      - {{name: ref{place}_id, type: long}}")
        inverse = f", inverse: from_{number}_{place}" if random.random() < 0.5 else ""
        links.append(f"    - {{name: ref{place}, to: {product_id(target)}, on: {{ref{place}_id: id}}, cardinality: one{inverse}}}")
    while len(fields) < 30:
        place = len(fields)
        type_ = random.choice(_TYPES)
        text = f", description: The {random.choice(_MEASURES)} of row {place}." if random.random() < 0.4 else ""
        fields.append(f"      - {{name: {random.choice(_MEASURES)}_{place}, type: {type_}{text}}}")
    hidden = "hidden" if number % 97 == 96 else "listed"
    grants = ['    - {role: analyst, fields: ["*"]}', '    - {role: steward, fields: ["*"], clear: [contact_email]}']
    if number % 7 == 0:
        grants[0] = '    - {role: analyst, fields: ["*"], rowFilter: {status: {in: [OPEN, PAID]}}}'
    if number % 11 == 10 or hidden == "hidden":
        grants = grants[1:]
    lines = [
        "apiVersion: datamesh/v1",
        "kind: DataContract",
        "metadata:",
        f"  name: {name}",
        f"  domain: {domain}",
        f"  owner: {domain}@example.com",
        f'  version: "{version}"',
        f"  description: Product {number} of a wide mesh.{note}",
        f"  visibility: {hidden}",
        "spec:",
        "  schema:",
        "    type: inline",
        "    fields:",
        *fields,
        "  primaryKey: [id]",
        "  time: {updated: updated_at}",
        '  slo: {freshness: "< 1 hour", completeness: "> 99.5%", availability: "99.9%"}',
        "  classification:",
        "    fields:",
        "      contact_email: {tags: [pii]}",
        "      contact_name: {tags: [pii]}",
        "      internal_note: {classification: restricted, visibility: hidden}",
        "  access:",
        *grants,
        *(["  relationships:", *links] if links else []),
        "  ports:",
        "    output:",
        f"      - {{type: rest-api, path: /data-products/{name}, level: 1}}",
    ]
    return "\n".join(lines) + "\n"


def write(folder: Path, products: int) -> WideMesh:
    """Write the contracts of a mesh of ``products`` below ``folder``."""
    catalog, policy = folder / "catalog", folder / "policy.yaml"
    for number in range(products):
        domain, name = product_id(number).split("/")
        (catalog / domain).mkdir(parents=True, exist_ok=True)
        (catalog / domain / f"{name}.yaml").write_text(contract_text(number, products))
    policy.write_text(POLICY)
    return WideMesh(catalog, policy, tuple(map(product_id, range(products))))
