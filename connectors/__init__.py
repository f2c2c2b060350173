"""Readers of CRMs: pure connectors, one engine that does their work, and the kit that proves them."""
