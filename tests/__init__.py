"""Tests in order of cost: unit, integration, pipeline."""
