# SPDX-License-Identifier: Apache-2.0
"""Python code that several scripts and tests of Teal share. A user puts scripts/python on sys.path."""
