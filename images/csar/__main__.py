"""`python -m csar`: builds, verifies and configures VNF packages."""

import argparse
import sys
from pathlib import Path

from . import Wrong, archive, contents, flavours, image, loaders, user_data, verify


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return arguments.run(arguments)
    except (Wrong, OSError) as wrong:
        print(f"error: {wrong}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="csar", description="The VNF package of lwaftr")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    build = verbs.add_parser("build", help="make a package around an image")
    build.add_argument("image", type=Path, help="the qcow2 image that `make image` built")
    build.add_argument("package", type=Path, help="the file to write, like lwaftr.csar")
    build.add_argument("--key", type=Path, help="sign with this private key (PEM)")
    build.add_argument("--certificate", type=Path, help="the key's certificate (PEM)")
    build.add_argument("--chain", type=Path, help="certificates between it and the root (PEM)")
    build.set_defaults(run=_build)

    check = verbs.add_parser("verify", help="is a package whole, unchanged, and understood?")
    check.add_argument("package", type=Path)
    check.add_argument("--ca", type=Path, help="must be signed by one whom these certify (PEM)")
    check.set_defaults(run=_verify)

    data = verbs.add_parser(
        "user-data", help="configurable properties (YAML) to cloud-init user data"
    )
    data.add_argument("properties", type=Path, help="what additional_configurable_properties has")
    data.set_defaults(run=_user_data)
    return parser


def _build(arguments: argparse.Namespace) -> int:
    if bool(arguments.key) != bool(arguments.certificate):
        raise Wrong("--key and --certificate go together")
    sizes = flavours.read()
    picture = image.read(arguments.image, sizes)
    signer = (arguments.key, arguments.certificate, arguments.chain) if arguments.key else None
    archive.write(arguments.package, contents.collect(sizes, picture), contents.released(), signer)
    size = arguments.package.stat().st_size / 1e6
    print(f"{arguments.package}: {size:.1f} MB, {'signed' if signer else 'not signed'}")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    found = verify.verify(arguments.package, arguments.ca)
    # A package that is not what its maker made is not worth reading.
    problems = found.problems or loaders.load(arguments.package, flavours.read())
    for problem in problems:
        print(f"{arguments.package}: {problem}", file=sys.stderr)
    if problems:
        return 1
    who = "not signed"
    if found.signer:
        unproven = "" if arguments.ca else ", which nobody vouches for: --ca says whom to trust"
        who = f"signed by {found.signer}{unproven}"
    print(f"{arguments.package}: whole and unchanged, understood by tosca-parser and tacker; {who}")
    return 0


def _user_data(arguments: argparse.Namespace) -> int:
    print(user_data.write(user_data.read(arguments.properties)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
