"""What `payback serve` answers over HTTP: the dashboard, health, metrics, and the receiver of webhooks."""
