//! The fleet's API: types, defaults, texts, names, quantities, selectors and hashes. No IO.
