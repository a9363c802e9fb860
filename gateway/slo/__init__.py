"""How good the data is: figures read from ports, judged against the contract, shown with every answer."""
