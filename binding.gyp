# The release build: build/Release/fsq.node here, prebuilds/ by prebuildify. The compiler flags are repeated in
# CMakeLists.txt.
{
    "targets": [
        {
            "target_name": "fsq",
            "sources": ["<!@(cat native/sources.txt)"],
            "actions": [
                {
                    "action_name": "source_hash",
                    "inputs": ["<!@(find native -type f)"],
                    "outputs": ["<(INTERMEDIATE_DIR)/source_hash.h"],
                    "action": ["node", "native/source-hash.cjs", "<@(_outputs)"],
                },
            ],
            "include_dirs": ["native", "<(INTERMEDIATE_DIR)"],
            "defines": [
                "NAPI_VERSION=8",
                "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS",
                # A worker thread that is being terminated cannot throw. Without this define, node-addon-api aborts
                # the process then.
                "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
            ],
            "cflags": ["-fvisibility=hidden"],
            "cflags_cc": [
                "-std=c++20",
                # Included as system headers, so that our warnings do not apply to them.
                "-isystem <!(node -p \"path.dirname(require.resolve('node-addon-api'))\")",
                "-Wall",
                "-Wextra",
                "-Werror",
                # Node's common.gypi turns this one off.
                "-Wunused-parameter",
                # Designated initialisers leave the other members zero on purpose.
                "-Wno-missing-field-initializers",
            ],
            "configurations": {"Release": {"cflags": ["-O2"]}},
            # Linux: the library stays loaded after the last thread that loaded it ends (see StayLoaded in
            # native/platform/platform.h).
            "ldflags": ["-Wl,-z,nodelete"],
            "xcode_settings": {
                "MACOSX_DEPLOYMENT_TARGET": "11.0",
                "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
                "CLANG_CXX_LIBRARY": "libc++",
                "GCC_ENABLE_CPP_EXCEPTIONS": "NO",
                "GCC_ENABLE_CPP_RTTI": "NO",
                "GCC_OPTIMIZATION_LEVEL": "2",
                "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
                "OTHER_CPLUSPLUSFLAGS": [
                    "-isystem <!(node -p \"path.dirname(require.resolve('node-addon-api'))\")",
                    "-Wall",
                    "-Wextra",
                    "-Werror",
                    "-Wunused-parameter",
                    "-Wno-missing-field-initializers",
                ],
            },
        }
    ]
}
