"""What `scripts/bench` and `scripts/soak` run: measurements that anybody can repeat."""
