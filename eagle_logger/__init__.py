"""eagle_logger: collects smart-meter readings from a fleet of Rainforest EAGLE gateways."""
