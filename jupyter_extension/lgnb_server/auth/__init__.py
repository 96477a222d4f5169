"""Who a caller is and what he may do, where the operator has a say: an auth module, or owners by their names."""
