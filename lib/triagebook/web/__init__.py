"""Page and API: thin doors to the incidents and to what lies in the runs' folders."""

from triagebook.web.app import create_app
from triagebook.web.serve import serve

__all__ = ["create_app", "serve"]
