"""What `payback serve` answers over HTTP: the status page, health, metrics, and the receiver of webhooks."""
