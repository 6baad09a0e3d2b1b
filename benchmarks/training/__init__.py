"""A training step of pushforward's networks beside one of neuraloperator's."""
