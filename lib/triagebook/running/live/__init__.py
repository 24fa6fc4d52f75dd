"""Live kernels: a run's kernel belongs to a Jupyter server and stays when the run has ended.

`server.py` starts JupyterLab beside the service, `labserver.py` is its process, `jupyter.py` speaks
to it (or to a configured Jupyter server), `provisioner.py` gives a run its kernel,
`keeper.py` keeps count and memory of kernels within limits.
"""
