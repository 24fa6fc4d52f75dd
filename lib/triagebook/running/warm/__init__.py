"""Warm processes: a template that has imported everything forks children before they are needed.

`template.py` is the process, `children.py` what its children do, `client.py` how one is taken,
`provisioner.py` hands kernels to Jupyter, `pool.py` keeps a template for the service.
"""
