"""The kit that proves a connector: an in-memory CRM, a virtual clock, faults, and thousands of seeded trials."""
