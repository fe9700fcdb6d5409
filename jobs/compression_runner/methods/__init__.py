"""One folder a method: its maths and its stage; its parameters are part of the contract."""
