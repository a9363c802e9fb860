"""Column schemas: Avro, JSON Schema and inline fields, all into `contracts.fields`."""
