"""Browsers for pages and viewers: the Chromium of the system, without a window."""

import contextlib
import os
import shutil

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
WITHOUT_A_GPU = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


@contextlib.contextmanager
def started(*options):
    """Chromium; the test is skipped where it or playwright is not there."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *options])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def browser():
    """For pages."""
    with started() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def browser_with_webgl():
    """For what draws with WebGL, on any machine; all else is slower."""
    with started(*WITHOUT_A_GPU) as chromium:
        yield chromium
