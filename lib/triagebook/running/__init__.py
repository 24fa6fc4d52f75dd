"""Run runbooks: queue, runner process, papermill engine, supervision, publishing."""
