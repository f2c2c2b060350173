"""From CRM records to an ROI report: warehouse, journeys, periods, metrics, effect, money, reports."""
