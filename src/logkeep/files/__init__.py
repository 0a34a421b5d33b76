"""Vendors that publish files: plan, fetch, inspect, name, run."""
