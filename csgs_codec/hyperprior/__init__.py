"""The implicit neural hyperprior: what it sees, what it says, and how it is written down."""
