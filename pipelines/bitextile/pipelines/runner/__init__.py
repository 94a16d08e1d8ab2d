"""How a Beam pipeline is run and its output made to appear whole or not at all."""
