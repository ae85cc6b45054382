"""The VNF package: an ETSI SOL004 archive (CSAR) with a SOL001 descriptor and the VM image.

`__main__` reads the arguments. Building: `flavours` and `keys` read what the project says about
itself, `vnfd` fills the templates of images/vnfd with it, `contents` collects the files, `archive`
writes them with their hashes, `signature` signs. Verifying: `verify` judges an archive without
trusting anything in it, `loaders` hands it to tosca-parser and tacker. `user_data` turns
configurable properties into what cloud-init reads.
"""


class Wrong(Exception):
    """What somebody gave us is wrong; the message says what, and what would be right."""
