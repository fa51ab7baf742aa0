# SPDX-License-Identifier: MIT
# The Python package. `make install` leaves it out unless it was asked for: what a system's Python finds is
# the business of its packages and of pip. client/python is also a project of its own, with pyproject.toml.
python_package = \
	client/python/shmd/__init__.py \
	client/python/shmd/_calls.py \
	client/python/shmd/_connection.py \
	client/python/shmd/_errors.py \
	client/python/shmd/_memory.py \
	client/python/shmd/_model.py \
	client/python/shmd/_parameters.py \
	client/python/shmd/_segment.py \
	client/python/shmd/_shared_memory.py \
	client/python/shmd/_version.py \
	client/python/shmd/aio.py \
	client/python/shmd/py.typed
EXTRA_DIST += $(python_package) client/python/README.md client/python/pyproject.toml

if INSTALL_PYTHON
shmdpythondir = $(python_directory)/shmd
shmdpython_DATA = $(python_package)
endif
