"""What a request costs: the gateway as shipped, beside a bare echo of the same job and, where they are installed, its peers."""
