"""Who made a package: signatures over its manifest."""

import subprocess
from pathlib import Path

import pytest
from conftest import change

from csar import Wrong, archive, contents, flavours, image, loaders, verify

SIZES = flavours.read()


class Authority:
    """A root certificate, and what it issues."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir()
        self.directory, self.root, self.key = (
            directory,
            directory / "root.pem",
            directory / "root-key.pem",
        )
        self._openssl(
            "req",
            "-x509",
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
            "-out",
            self.root,
            "-keyout",
            self.key,
            *self._new_key(),
        )

    def issue(self, name: str) -> tuple[Path, Path]:
        """A key and its certificate, for signing code."""
        key, request, certificate, extensions = (
            self.directory / f"{name}{end}" for end in ("-key.pem", ".csr", ".pem", ".ext")
        )
        extensions.write_text("keyUsage=digitalSignature\nextendedKeyUsage=codeSigning\n")
        self._openssl(
            "req", "-new", "-subj", f"/CN={name}", "-out", request, "-keyout", key, *self._new_key()
        )
        self._openssl(
            "x509",
            "-req",
            "-days",
            "2",
            "-in",
            request,
            "-out",
            certificate,
            "-CA",
            self.root,
            "-CAkey",
            self.key,
            "-CAcreateserial",
            "-extfile",
            extensions,
        )
        return key, certificate

    @staticmethod
    def _new_key() -> list[str]:
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    @staticmethod
    def _openssl(*arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki") / "ours", "Our root")


@pytest.fixture
def signed(standin: Path, authority: Authority, tmp_path: Path) -> Path:
    path = tmp_path / "signed.csar"
    files = contents.collect(SIZES, image.read(standin, SIZES))
    archive.write(path, files, contents.released(), (*authority.issue("Release engineering"), None))
    return path


def test_a_signed_package_is_accepted(signed: Path, authority: Authority) -> None:
    found = verify.verify(signed, authority.root)
    assert found.problems == []
    assert found.signer == "CN=Release engineering"
    # The signature is in nobody's way.
    assert loaders.load(signed, SIZES) == []
    # Without anybody whom to trust, it still says whether the package is what was signed.
    assert verify.verify(signed).problems == []


def test_another_authority_does_not_vouch_for_it(signed: Path, tmp_path: Path) -> None:
    [problem] = verify.verify(signed, Authority(tmp_path / "other", "Other root").root).problems
    assert problem.startswith("the manifest's signature is not good: openssl says: ")
    assert "certificate" in problem


@pytest.mark.parametrize("trusting", [True, False])
def test_a_manifest_that_was_changed_after_signing(
    signed: Path, authority: Authority, trusting: bool
) -> None:
    def relabel(files: dict[str, bytes]) -> None:
        files["lwaftr.mf"] = files["lwaftr.mf"].replace(
            b"vnf_provider_id: lwaftr", b"vnf_provider_id: anybody"
        )

    change(signed, relabel)
    [problem] = verify.verify(signed, None if trusting else authority.root).problems
    assert problem.startswith("the manifest's signature is not good: ")


def test_a_signature_that_is_damaged(signed: Path, authority: Authority) -> None:
    def damage(files: dict[str, bytes]) -> None:
        head, mark, rest = files["lwaftr.mf"].partition(b"-----BEGIN CMS-----\n")
        files["lwaftr.mf"] = head + mark + rest[:200] + b"AAAA" + rest[204:]

    change(signed, damage)
    [problem] = verify.verify(signed, authority.root).problems
    assert problem.startswith("the manifest's signature is not good: ")


def test_a_signature_that_was_taken_away(signed: Path, authority: Authority) -> None:
    def strip(files: dict[str, bytes]) -> None:
        files["lwaftr.mf"] = files["lwaftr.mf"].partition(b"\n-----BEGIN CMS-----")[0]

    change(signed, strip)
    assert verify.verify(signed, authority.root).problems == ["the package is not signed"]
    assert verify.verify(signed).signer is None


def test_a_changed_image_in_a_signed_package(signed: Path, authority: Authority) -> None:
    place = "Files/images/lwaftr-0.0.0.qcow2"
    change(signed, lambda files: files.update({place: files[place] + b"x"}))
    [problem] = verify.verify(signed, authority.root).problems
    assert problem.startswith(f"{place}: was changed")


def test_a_key_of_another_certificate(standin: Path, authority: Authority, tmp_path: Path) -> None:
    key, _ = authority.issue("one")
    _, certificate = authority.issue("two")
    files = contents.collect(SIZES, image.read(standin, SIZES))
    with pytest.raises(Wrong, match="cannot sign with it"):
        archive.write(tmp_path / "a.csar", files, contents.released(), (key, certificate, None))
    with pytest.raises(Wrong, match="there is no such file to sign with"):
        archive.write(
            tmp_path / "a.csar", files, contents.released(), (tmp_path / "no", certificate, None)
        )
    assert list(tmp_path.iterdir()) == []
