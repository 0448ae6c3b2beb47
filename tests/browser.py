"""A headless Chromium, as Debian's packages `chromium` and `chromium-driver` bring it."""

import base64
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

PROGRAMS = ("chromium", "chromedriver")
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # root has none
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--window-size=1200,1400",
)


def programs() -> list[str]:
    """Where Chromium and its driver are; skips the test without them, but never under CI."""
    found = [shutil.which(name) for name in PROGRAMS]
    missing = [name for name, path in zip(PROGRAMS, found, strict=True) if path is None]
    if missing:
        reason = f"needs {' and '.join(missing)}: apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return [path for path in found if path]


class Browser:
    """One browser for many pages.

    Args:
        profile: folder for its profile.
        dark: what it says of the system's theme.
    """

    def __init__(self, profile: Path, dark: bool = False) -> None:
        binary, driver = programs()
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        self.theme(dark)

    def theme(self, dark: bool) -> None:
        """As if the system had this theme."""
        value = "dark" if dark else "light"
        feature = {"name": "prefers-color-scheme", "value": value}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def open(self, page: Path) -> None:
        """Load a file and wait until its images are there."""
        self.console()
        self.requests()
        self.driver.get(page.as_uri())
        self.wait("state.ready")

    def wait(self, condition: str) -> None:
        """Until a JavaScript expression is true; it may wait for promises of the page."""
        done = self.driver.execute_async_script(
            f"""const done = arguments[0], end = performance.now() + 20000;
            const look = () => {condition} ? done(true)
              : performance.now() > end ? done(false) : setTimeout(look, 10);
            look();"""
        )
        assert done, f"waited for: {condition}"

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script."""
        return self.driver.execute_script(script, *arguments)

    def find(self, name: str) -> WebElement:
        """The element of this id."""
        return self.driver.find_element(By.ID, name)

    def press(self, *keys: str) -> None:
        """Keys, wherever the focus is."""
        chain = ActionChains(self.driver)
        for key in keys:
            chain.send_keys(key)
        chain.perform()

    def pixels(self, element: str = "stage") -> NDArray[np.uint8]:
        """What a canvas shows, [H,W,3]."""
        uri: str = self.run(f"return document.getElementById('{element}').toDataURL()")
        image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
        return np.asarray(image.convert("RGB"))

    def screenshot(self, path: Path) -> None:
        """The whole page as a PNG."""
        size = {"captureBeyondViewport": True, "format": "png"}
        found = self.driver.execute_cdp_cmd("Page.captureScreenshot", size)
        path.write_bytes(base64.b64decode(found["data"]))

    def console(self) -> list[str]:
        """Messages since the last call."""
        return [entry["message"] for entry in self._log("browser")]

    def requests(self) -> list[str]:
        """Addresses that were asked for since the last call."""
        entries = (json.loads(line["message"])["message"] for line in self._log("performance"))
        return [
            entry["params"]["request"]["url"]
            for entry in entries
            if entry["method"] == "Network.requestWillBeSent"
        ]

    def _log(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.driver.get_log(kind)
        return found

    def close(self) -> None:
        """End it."""
        self.driver.quit()
